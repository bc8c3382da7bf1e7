// A Runtime API client without anything that can be left out: Lambda's own for Node has a
// part in C++ that not every machine can build.

import http from "node:http";

import { handler } from "./function.mjs";

const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function request(method, path, body) {
  return new Promise((resolve, reject) => {
    const one = http.request({ hostname, port, method, agent, path: `/2018-06-01/runtime/invocation/${path}` }, (answer) => {
      const pieces = [];
      answer.on("data", (piece) => pieces.push(piece));
      answer.on("end", () => resolve({ headers: answer.headers, body: Buffer.concat(pieces).toString() }));
    });
    one.on("error", reject);
    one.end(body);
  });
}

for (;;) {
  const next = await request("GET", "next");
  const id = next.headers["lambda-runtime-aws-request-id"];
  try {
    await request("POST", `${id}/response`, JSON.stringify(await handler(JSON.parse(next.body))));
  } catch (error) {
    await request("POST", `${id}/error`, JSON.stringify({ errorType: error.name, errorMessage: error.message }));
  }
}
