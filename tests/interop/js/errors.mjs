// What the SDK throws for a wrong key, an unknown model, a wrong field, and a stream that breaks.
import OpenAI from "openai";

const client = new OpenAI();
const asked = { model: "chat:0.33", messages: [{ role: "user", content: "hi" }] };
const create = (client, fields = {}) => client.chat.completions.create({ ...asked, ...fields });

async function thrown(call) {
  try {
    await call();
  } catch (error) {
    const { status, type, code, param, message, requestID } = error;
    return { name: error.constructor.name, status, type, code, param, message, requestID };
  }
}

async function read(stream) {
  for await (const _ of stream);
}

const errors = [
  await thrown(() => create(new OpenAI({ apiKey: "sk-wrong" }))),
  await thrown(() => create(client, { model: "gpt-5" })),
  await thrown(() => create(client, { temperature: "hot" })),
  await thrown(async () => read(await create(client, { stream: true }))),
];

console.log(JSON.stringify(errors));
