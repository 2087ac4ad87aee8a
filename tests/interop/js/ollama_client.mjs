// The client on the gateway, or the host, that the environment names. It notes what it is asked.
import { Ollama } from "ollama";

const calls = [];

function note(method, given = {}, streamed = given.stream === true) {
  calls.push({ method, parameters: Object.keys(given), streamed });
}

export const key = { Authorization: `Bearer ${process.env.KEY}` };

export function connect(config = {}) {
  const given = { host: process.env.URL, headers: key, ...config };
  note("Ollama", given);
  return new Proxy(new Ollama(given), {
    get(client, name) {
      const method = client[name];
      return (...given) => {
        note(name, name === "encodeImage" ? { image: given[0] } : given[0]);
        return method.apply(client, given);
      };
    },
  });
}

// All pieces of an answer.
export async function pieces(answer) {
  const found = [];
  for await (const piece of await answer) found.push(piece);
  return found;
}

// The answer to a request in both ways, or in each what was thrown.
export async function both(client, method, given) {
  return {
    whole: await outcome(() => client[method](structuredClone(given))),
    streamed: await outcome(() => pieces(client[method]({ ...structuredClone(given), stream: true })), true),
  };
}

export async function outcome(call, streamed = false) {
  try {
    return await call();
  } catch (thrown) {
    const { name, message, error, status_code } = thrown;
    if (name === "ResponseError") note(name, thrown, streamed);
    return { name, message, error, status_code };
  }
}

export function print(found) {
  console.log(JSON.stringify({ calls, found }));
}
