// Vectors, as the SDK asks for them by default (in base64), and as JSON numbers.
import OpenAI from "openai";

const client = new OpenAI();
const asked = { model: "demo", input: ["good bye", "hello world"] };
const byDefault = await client.embeddings.create(asked);
const float = await client.embeddings.create({ ...asked, encoding_format: "float" });
const short = await client.embeddings.create({ ...asked, input: "hello world", dimensions: 8 });

console.log(JSON.stringify({ byDefault, float, short }));
