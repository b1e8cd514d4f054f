"""Amberflo's routes, at the root as in its descriptions."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox import amberflo_billing as billing
from sandbox import amberflo_metering as metering
from sandbox.amberflo_wire import AmberfloError, error_reply, read_body
from sandbox.call import Call, Operation
from sandbox.fault_effects import execute
from sandbox.keys import RECORD, STATE
from sandbox.reply import Reply

_ROUTES: list[tuple[str, str, Operation]] = [
    ("GET", "/customers", billing.list_customers),
    ("POST", "/customers", billing.create_customer),
    ("PUT", "/customers", billing.update_customer),
    ("GET", "/customers/{customerId}", billing.get_customer),
    ("DELETE", "/customers/{customerId}", billing.delete_customer),
    ("GET", "/payments-billing-customer-product-invoice", billing.list_invoices),
    ("POST", "/payments-pricing-amberflo-customer-prepaid", billing.create_prepaid),
    ("POST", "/payments-pricing-amberflo-customer-pricing", billing.assign_plan),
    ("POST", "/ingest", metering.ingest),
    ("GET", "/meter-definition", metering.list_meters),
    ("POST", "/meter-definition", metering.create_meter),
    ("PUT", "/meter-definition", metering.update_meter),
    ("GET", "/meter-definition/{meterApiName}", metering.get_meter),
    ("DELETE", "/meter-definition/{meterApiName}", metering.delete_meter),
    ("POST", "/usage", metering.query_usage),
    ("POST", "/meter-event-filtering-rules", metering.save_rule),
    ("GET", "/meter-event-filtering-rules", metering.list_rules),
]


def add_routes(app: web.Application) -> None:
    """Add Amberflo's operations to an application."""
    for method, path, operation in _ROUTES:
        app.router.add_route(method, path, _serve(operation))


def _serve(operation: Operation) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        record = request[RECORD]

        def work() -> Reply:
            body = read_body(record) if request.method in ("POST", "PUT") else None
            call = Call(request.app[STATE], record, request.match_info, request.query, body)
            return operation(call)

        try:
            reply = await execute(request, work, error_reply)
        except AmberfloError as error:
            reply = error.reply
        return reply.response()

    return handle
