// The same job in its simplest form: is the uploader known? If not, remember and tell.

import { DynamoDBClient, PutItemCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";

const dynamodb = new DynamoDBClient();
const sns = new SNSClient();
const TableName = process.env.UPLOADERS_TABLE;

export async function handler(event) {
  const { detail } = event;
  if (detail.eventName !== "PutImage") return { outcome: "ignored" };
  const identity = detail.userIdentity;
  const key = { S: identity.sessionContext?.sessionIssuer?.arn ?? identity.arn };
  const time = { S: detail.eventTime };
  let outcome = "known";
  try {
    await dynamodb.send(new UpdateItemCommand({
      TableName,
      Key: { uploader: key },
      ConditionExpression: "attribute_exists(uploader)",
      UpdateExpression: "SET lastSeen = :t, lastEventId = :e ADD pushes :one",
      ExpressionAttributeValues: { ":t": time, ":e": { S: detail.eventID }, ":one": { N: "1" } },
    }));
  } catch (error) {
    if (error.name !== "ConditionalCheckFailedException") throw error;
    await dynamodb.send(new PutItemCommand({ TableName, Item: { uploader: key, firstSeen: time } }));
    await sns.send(new PublishCommand({
      TopicArn: process.env.FINDINGS_TOPIC_ARN,
      Subject: "New ECR uploader",
      Message: JSON.stringify(detail, null, 2),
    }));
    outcome = "finding_published";
  }
  console.log(JSON.stringify({ outcome }));
  return { outcome };
}
