"""Life cycle and state: config watch, reconcile, runtimes, control link, audit, approvals, API."""
