// Tools that the SDK runs by itself, with and without a stream, and the events of a call in a stream.
import OpenAI from "openai";

const client = new OpenAI();
const calls = [];
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Tells the weather.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    parse: JSON.parse,
    function: (given) => {
      calls.push(given);
      return "21 degrees";
    },
  },
};
const asked = {
  model: "demo",
  messages: [{ role: "user", content: "How is the weather in Paris?" }],
  tools: [weather],
};

const whole = client.chat.completions.runTools(asked);
const content = await whole.finalContent();
const { messages } = whole;

const streamed = await client.chat.completions.runTools({ ...asked, stream: true }).finalContent();

const events = [];
const { name, description, parameters } = weather.function;
const stream = client.chat.completions.stream({
  ...asked,
  tools: [{ type: "function", function: { name, description, parameters } }],
});
stream.on("tool_calls.function.arguments.done", (event) => events.push(event));
const final = await stream.finalChatCompletion();

console.log(JSON.stringify({ calls, content, messages, streamed, events, final }));
