"""Any traffic split, for property tests."""

from hypothesis import strategies as st

from movierec.releases.traffic_split import TrafficSplit

versions = st.integers(1, 10_000).map(str)
# Lambda keeps a weight as a decimal; a millionth of a percent is finer than anybody needs.
percents = st.integers(0, 10_000).map(lambda hundredths: hundredths / 100)


@st.composite
def splits(draw: st.DrawFn) -> TrafficSplit:
    stable, canary = draw(st.lists(versions, min_size=2, max_size=2, unique=True))
    return draw(
        st.sampled_from([TrafficSplit(stable), TrafficSplit(stable, canary, draw(percents))])
    )
