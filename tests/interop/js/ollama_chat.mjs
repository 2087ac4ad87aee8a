// Chats, each in one piece and piece by piece.
import { both, connect, print } from "./ollama_client.mjs";

const client = connect();
const model = (name) => `${name}:${process.env.KIND}`;
const chat = (name, messages, more = {}) => both(client, "chat", { model: model(name), messages, ...more });
const user = (content, more = {}) => ({ role: "user", content, ...more });

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Tells the weather.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const schema = { type: "object", properties: { city: { type: "string" }, temp: { type: "integer" } } };
const called = { role: "assistant", content: "", tool_calls: [{ function: { name: "get_weather", arguments: { city: "Oslo" } } }] };
const result = { role: "tool", content: "21 degrees", tool_name: "get_weather" };

print([
  await chat("chat", [user("hi")]),
  await chat("chat", [{ role: "system", content: "Be brief." }, user("long")], { options: { num_predict: 7, temperature: 0 } }),
  await chat("chat", [user("hi")], { tools: [weather] }),
  await chat("chat", [user("hi"), called, result], { tools: [weather], keep_alive: "5m" }),
  await chat("think", [user("hi")], { think: true }),
  await chat("think", [user("hi")], { think: "low" }),
  await chat("chat", [user("json")], { format: "json" }),
  await chat("chat", [user("json")], { format: schema }),
  await chat("chat", [user("dice")], { logprobs: true, top_logprobs: 2, options: { temperature: 0 } }),
  await chat("see", [user("What is this?", { images: [new Uint8Array([137, 80, 78, 71])] })]),
  await chat("plain", [user("hi")], { tools: [weather] }),
  await chat("chat", []),
]);
