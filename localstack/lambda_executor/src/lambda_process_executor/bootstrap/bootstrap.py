"""What AWS has as /var/runtime/bootstrap.py: start the runtime client with the handler.

A file, and the last argument of its command, because a wrapper script puts options of the
interpreter before it (AWS: "Modifying the runtime environment").
"""

import os
import sys

if __name__ == "__main__":
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    from awslambdaric.__main__ import main

    main([sys.argv[0], os.environ["_HANDLER"]])
