"""A gRPC client in another language, generated from the proto file at each run.

Takes: the folders of simplebank.proto and grpc_wire.proto, a scratch folder, the server's address; on standard input one JSON
object a line: {"call": "CreateUser", "request": {...}}. Gives: for each a JSON line with code, message, response and details,
and with the metadata of the answer where the object has the key "answered_metadata".
Does not: judge; the tests in grpc.rs do.
"""

import json
import os
import sys

try:
    import grpc
    from google.protobuf import json_format
    import grpc_tools
    from grpc_tools import protoc
except ImportError as missing:
    sys.exit(f"{missing}; run `make setup` (Debian packages: python3-grpcio python3-grpc-tools python3-protobuf)")

protos, tests, scratch, address = sys.argv[1:5]
well_known = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
for folder, name in ((protos, "simplebank.proto"), (tests, "grpc_wire.proto")):
    arguments = ["protoc", f"-I{folder}", f"-I{well_known}", f"--python_out={scratch}", f"--grpc_python_out={scratch}"]
    if protoc.main([*arguments, f"{folder}/{name}"]) != 0:
        sys.exit(f"{name} does not compile")
sys.path.insert(0, scratch)
import grpc_wire_pb2 as wire  # noqa: E402
import simplebank_pb2 as pb  # noqa: E402
import simplebank_pb2_grpc as pb_grpc  # noqa: E402

TIMEOUT_SECONDS = 60
channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
bank = pb_grpc.SimpleBankStub(channel)


def simple_bank(command):
    request = json_format.ParseDict(command["request"], getattr(pb, command["call"] + "Request")())
    metadata = list(command.get("metadata", {}).items())
    call = getattr(bank, command["call"])
    if "answered_metadata" not in command:
        return call(request, timeout=TIMEOUT_SECONDS, metadata=metadata)
    response, done = call.with_call(request, timeout=TIMEOUT_SECONDS, metadata=metadata)
    command["answered_metadata"] = dict(done.initial_metadata())
    return response


def raw(command):
    """Any bytes to any method: {"call": "raw", "method": "/pb.SimpleBank/LoginUser", "hex": "0a00", "repeat": 1}."""
    message = bytes.fromhex(command["hex"]) * command.get("repeat", 1)
    call = channel.unary_unary(command["method"], lambda message: message, lambda message: message)
    call(message, timeout=TIMEOUT_SECONDS)
    return wire.HealthResponse()


def health(command):
    serialize = wire.HealthRequest.SerializeToString
    call = channel.unary_unary("/grpc.health.v1.Health/Check", serialize, wire.HealthResponse.FromString)
    return call(wire.HealthRequest(service=command["service"]), timeout=TIMEOUT_SECONDS)


def reflect(command):
    method = f"/grpc.reflection.{command['version']}.ServerReflection/ServerReflectionInfo"
    serialize = wire.ReflectionRequest.SerializeToString
    call = channel.stream_stream(method, serialize, wire.ReflectionResponse.FromString)
    return next(call(iter([wire.ReflectionRequest(list_services="*")]), timeout=TIMEOUT_SECONDS))


def details(error):
    trailers = {key: value for key, value in error.trailing_metadata() or ()}
    status = wire.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    kinds = {"google.rpc.BadRequest": wire.BadRequest, "google.rpc.ErrorInfo": wire.ErrorInfo}
    found = {}
    for detail in status.details:
        kind = kinds.get(detail.type_url.rpartition("/")[2])
        if kind:
            found.update(json_format.MessageToDict(kind.FromString(detail.value), preserving_proto_field_name=True))
    return found


def run(command):
    calls = {"raw": raw, "health": health, "reflect": reflect}
    try:
        response = calls.get(command["call"], simple_bank)(command)
    except grpc.RpcError as error:
        return {"code": error.code().value[0], "message": error.details(), "details": details(error)}
    fields = json_format.MessageToDict(response, preserving_proto_field_name=True)
    if isinstance(response, pb.CreateUserResponse):
        fields["password_changed_at_seconds"] = response.user.password_changed_at.seconds
    answered = {name: command[name] for name in ["answered_metadata"] if name in command}
    return {"code": 0, "response": fields, **answered}


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
