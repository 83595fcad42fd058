"""LocalStack's Lambda without Docker: each execution environment is a process of its own.

LocalStack does versions, aliases, weights, concurrency, retries, event sources and permissions.
What this package adds is the place where a function runs:

    plugin        what LocalStack loads, by the name `process`
    executor      LocalStack's interface on top of a sandbox
    invocation    what a sandbox runs, is asked, and answers
    sandbox       one execution environment: init, invoke, timeout, crash, stop
    sandbox_registry  all of them, stopped together
    runtime_server, runtime_api  the Lambda Runtime API: whose turn it is; HTTP on a socket
    transcript    what the environment has written, event by event
    guard         memory and storage against the limits; `memory` and `disk` measure them
    process       a function's process tree; `warden` is the small parent that holds it together
    places        AWS's paths, or this machine's; `file_tree` makes AWS's appear
    storage       what is on disk, and for how long
    holding       folders of code that are in use, and removed later
    bootstrap     the program that starts the runtime client
    environment   the variables that a function sees
    layers        several layers as one /opt
    client_context  what a caller sends along for the context object
    interpreters  which Python runs which runtime
    platform_log  START, END, REPORT and their relatives
    faults        what a caller is told when the function did not answer
    takeover      the functions of LocalStack that this package replaces
    gateway_patches  its gateway: which address, and its end
    log_delivery  logs on their way to CloudWatch Logs
    emf           Embedded Metric Format: log lines into measurements
    measurements  measurements into CloudWatch's batches
    lambda_metrics, publisher, hooks   AWS/Lambda's own metrics, and the way to CloudWatch
"""
