"""The same job in its simplest form: is the uploader known? If not, remember and tell."""

import json
import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["UPLOADERS_TABLE"])
sns = boto3.client("sns")


def handler(event, context):
    detail = event["detail"]
    if detail.get("eventName") != "PutImage":
        return {"outcome": "ignored"}
    identity = detail["userIdentity"]
    issuer = identity.get("sessionContext", {}).get("sessionIssuer", {})
    key = issuer.get("arn") or identity["arn"]
    try:
        table.update_item(
            Key={"uploader": key},
            ConditionExpression="attribute_exists(uploader)",
            UpdateExpression="SET lastSeen = :t, lastEventId = :e ADD pushes :one",
            ExpressionAttributeValues={
                ":t": detail["eventTime"], ":e": detail["eventID"], ":one": 1},
        )
        outcome = "known"
    except table.meta.client.exceptions.ConditionalCheckFailedException:
        table.put_item(Item={"uploader": key, "firstSeen": detail["eventTime"]})
        sns.publish(
            TopicArn=os.environ["FINDINGS_TOPIC_ARN"], Subject="New ECR uploader",
            Message=json.dumps(detail, indent=2))
        outcome = "finding_published"
    print(json.dumps({"outcome": outcome}))
    return {"outcome": outcome}
