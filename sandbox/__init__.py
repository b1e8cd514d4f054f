"""A stateful stand-in for Amberflo and Stripe: one process that keeps count of what really happened."""
