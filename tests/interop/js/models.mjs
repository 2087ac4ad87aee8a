// The list of models, as the SDK's pages, and one of them.
import OpenAI from "openai";

const client = new OpenAI();
const listed = [];
for await (const model of client.models.list()) {
  listed.push(model);
}

console.log(JSON.stringify({ listed, one: await client.models.retrieve("chat:0.33") }));
