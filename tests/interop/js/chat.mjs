// A chat in one piece, piece by piece, and through the helper that puts the pieces together.
import OpenAI from "openai";

const client = new OpenAI();
const asked = { model: "chat:0.33", messages: [{ role: "user", content: "hi" }] };

const whole = await client.chat.completions.create(asked);

const chunks = [];
for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
  chunks.push(chunk);
}

const counted = [];
for await (const chunk of await client.chat.completions.create({
  ...asked,
  stream: true,
  stream_options: { include_usage: true },
})) {
  counted.push(chunk);
}

let heard = "";
const helper = client.chat.completions.stream(asked).on("content", (delta) => (heard += delta));
const final = await helper.finalChatCompletion();

console.log(JSON.stringify({ whole, chunks, counted, heard, final }));
