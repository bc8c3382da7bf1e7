"""What moto lacks for `sam deploy`: the transform of SAM templates, and a stack's outputs where
a change set made it. It stands before moto, and passes on all else."""

import json
import urllib.parse

from samtranslator.yaml_helper import yaml_parse

from servers import Quiet, serve
from stack import client_of, transformed

DONE = b"<ExecuteChangeSetResponse><ExecuteChangeSetResult/></ExecuteChangeSetResponse>"


def pairs(form, name, key, value):
    """A list of keys and values in a form of AWS's query protocol."""
    found = []
    while f"{name}.member.{len(found) + 1}.{key}" in form:
        member = f"{name}.member.{len(found) + 1}"
        found.append({key: form[f"{member}.{key}"], value: form[f"{member}.{value}"]})
    return found


def cloudformation(moto):
    """Serves before this moto; gives the server."""
    client = client_of(moto.url)
    # What change sets ask for, by the name of their stack.
    asked = {}

    def template(form):
        """Of a change set, as the transform leaves it."""
        if "TemplateURL" in form:
            _, bucket, key = urllib.parse.urlparse(form.pop("TemplateURL")).path.split("/", 2)
            text = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        else:
            text = form["TemplateBody"]
        return json.dumps(transformed(yaml_parse(text)))

    def execute(name):
        """Makes the stack of a change set."""
        form = asked[name]
        client("cloudformation").delete_stack(StackName=name)
        client("cloudformation").create_stack(
            StackName=name, TemplateBody=form["TemplateBody"], Capabilities=["CAPABILITY_IAM"],
            Parameters=pairs(form, "Parameters", "ParameterKey", "ParameterValue"),
            Tags=pairs(form, "Tags", "Key", "Value"))

    class Handler(Quiet):
        def do_POST(self):
            body = self.body()
            form = dict(urllib.parse.parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
            action, name = form.get("Action"), form.get("StackName", "")
            if action == "ExecuteChangeSet":
                execute(name)
                self.answer(200, [("content-type", "text/xml")], DONE)
                return
            if action == "CreateChangeSet":
                form["TemplateBody"] = template(form)
                asked[name] = form
            elif name.startswith("arn:"):
                # What a change set was for has another ARN once it is made.
                form["StackName"] = name.split("/")[1]
            self.pass_on(moto.port, urllib.parse.urlencode(form).encode() if action else body)

        def do_PUT(self):
            self.pass_on(moto.port, self.body())

        do_GET = do_HEAD = do_DELETE = do_PUT

    return serve(Handler)
