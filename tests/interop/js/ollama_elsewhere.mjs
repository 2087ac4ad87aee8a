// A `fetch` of one's own, paths without a host, and what is not asked of a host.
import { connect, key, outcome, print } from "./ollama_client.mjs";

const asked = [];
const instead = async (url, { headers, body }) => {
  asked.push({ url, key: headers.Authorization, body: JSON.parse(body) });
  return Response.json({ results: [], title: "Ollama" });
};

// The client complains of a URL that begins with its path, and goes on: as on a page, which has a host of its own.
console.error = () => {};
const page = connect({ proxy: true, fetch: (path, options) => fetch(process.env.URL + path, options) });
const messages = [{ role: "user", content: "hi" }];
const said = (await page.chat({ model: "chat:0.33", messages })).message.content;

const elsewhere = connect({ fetch: instead });
const search = await elsewhere.webSearch({ query: "ollama", maxResults: 1 });
const found = await elsewhere.webFetch({ url: "https://ollama.com" });

const questions = { nice: { type: "noul", instructions: "Is it nice?" } };
const systemone = await outcome(() =>
  connect().systemone({ model: "demo", state: "sunny", questions, keep_alive: "5m" }),
);

const image = await connect().encodeImage(new Uint8Array([137, 80, 78, 71]));

print({ said, asked, search, found, systemone, image, key: key.Authorization });
