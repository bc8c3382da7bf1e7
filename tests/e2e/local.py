"""PushWatch on this machine, to play with: the stack deployed into moto, the
function in cargo-lambda's emulator, swept every minute, and on the terminal the
e-mails that people would get. What a second terminal needs is in a file of this
run's own, so that several runs stay apart."""

import subprocess
import time

from servers import REGION, ROOT, Emulator, Moto, aws_variables, free_port
from stack import Stack


def main():
    subprocess.run(["cargo", "build", "--locked", "--features", "aws", "--bin", "pushwatch"], cwd=ROOT, check=True)
    moto = Moto()
    port = free_port()
    file = ROOT / "target" / f"local-{port}.env"
    emulator = None
    try:
        stack = Stack(moto.url, {})
        inbox, arn = stack.queue("inbox")
        topic = stack.outputs["FindingsTopicArn"]
        stack.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        emulator = Emulator(stack, moto.url, port)
        emulator.invoke("sweep")
        variables = {
            **aws_variables(moto.url),
            "PUSHWATCH_STACK": "pushwatch", "INVOKE_PORT": port,
            "PATH": f"{ROOT}/.venv/bin:{ROOT}/target/debug:$PATH",
        }
        file.write_text("".join(f'export {name}="{value}"\n' for name, value in variables.items()))
        print(
            "PushWatch runs. In a second terminal:\n\n"
            f"  source {file.relative_to(ROOT)}\n"
            "  cargo lambda invoke pushwatch-lambda --invoke-port $INVOKE_PORT \\\n"
            "    --data-file events/iam-user.json\n"
            "  pushwatch uploaders list\n"
            "  pushwatch findings list --open\n"
            "  pushwatch explain --stack pushwatch events/iam-user.json\n"
            "  pushwatch investigate events/iam-user.json events/ --stack pushwatch\n\n"
            "Its mail appears here; Ctrl-C ends it.\n", flush=True)
        show_mail(stack, emulator, inbox)
    except KeyboardInterrupt:
        pass
    finally:
        file.unlink(missing_ok=True)
        if emulator:
            emulator.stop()
        moto.stop()


def show_mail(stack, emulator, inbox):
    """Shows what arrives, and sweeps every minute, for ever."""
    names = [
        "--table", stack.outputs["UploadersTable"], "--findings-table", stack.outputs["FindingsTable"],
        "--region", REGION,
    ]
    swept = time.monotonic()
    while True:
        for message in stack.receive(inbox, whole=True):
            mail = subprocess.run(
                [ROOT / "target/debug/pushwatch", "render", "--format", "email", "-", *names],
                input=message, check=True, capture_output=True, text=True).stdout
            print(mail, "-" * 79, sep="\n", flush=True)
        if time.monotonic() - swept > 60:
            emulator.invoke("sweep")
            swept = time.monotonic()
        time.sleep(1)


main()
