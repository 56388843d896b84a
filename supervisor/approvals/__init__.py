"""Approvals: questions from plugins, operators' answers, and the requests and grants that last."""
