"""The office's page: lanes, cases, payments, reconciliation and alarms of a whole chain, in Russian and English.

Server-rendered with starlette and jinja2, without a script. `app.office_app` is what a server mounts.
"""
