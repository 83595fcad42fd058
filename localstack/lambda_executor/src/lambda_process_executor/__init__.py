"""LocalStack's Lambda without Docker: each execution environment is a process of its own.

LocalStack does versions, aliases, weights, concurrency, retries, event sources and permissions.
What this package adds is the place where a function runs:

    plugin        what LocalStack loads, by the name `process`
    executor      LocalStack's interface on top of a sandbox
    invocation    what a sandbox runs, is asked, and answers
    sandbox       one execution environment: init, invoke, timeout, crash, stop
    runtime_api   the Lambda Runtime API on a socket
    process       a function's process tree; `warden` is the small parent that holds it together
    memory, disk  what a process tree and its temporary folder use
    environment   the variables that a function sees
    layers        /opt
    client_context  what a caller sends along for the context object
    interpreters  which Python runs which runtime
    platform_log  START, END, REPORT and their relatives
    faults        what a caller is told when the function did not answer
    emf           Embedded Metric Format: log lines into measurements
    measurements  measurements into CloudWatch's batches
    lambda_metrics, publisher, hooks   AWS/Lambda's own metrics, and the way to CloudWatch
"""
