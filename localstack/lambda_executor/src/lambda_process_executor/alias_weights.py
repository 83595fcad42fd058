"""Validate the routing weights of an alias, as Lambda does.

https://docs.aws.amazon.com/lambda/latest/api/API_AliasRoutingConfiguration.html
"""


def fault(weights: dict[str, float]) -> str | None:
    """Return what is wrong with an alias's weights in themselves, None if nothing is."""
    if len(weights) > 1:
        return "Number of items in AdditionalVersionWeights cannot be greater than 1"
    for version, weight in weights.items():
        if not version.isdecimal():
            return f"{version} in AdditionalVersionWeights is no version number"
        if not 0.0 <= weight <= 1.0:
            return f"weight {weight} of version {version} is not between 0.0 and 1.0"
    return None
