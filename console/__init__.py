"""The operator's console: a web page over the running system, on LocalStack and on AWS.

It reads through the ports of the library, and changes nothing unless it is started to operate. A
page is a module in `console.pages` and a template of the same name: see `console.page`.
"""
