// A Redis client in forty lines, as any language could write one: node client.mjs PORT send TEXT | blpop | subscribe
import { connect } from "node:net";
import { randomUUID } from "node:crypto";

const [port, command, text] = process.argv.slice(2);
const socket = connect(Number(port), "127.0.0.1");
const pack = (...words) =>
  `*${words.length}\r\n` + words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join("");

// the last bulk string of a reply is the payload of a message
const payload = (reply) => reply.match(/\r\n(\{.*\})\r\n$/s)?.[1];

const show = (json) => {
  const { parsed: _, ...message } = JSON.parse(json);
  console.log(JSON.stringify({ ...message, parsed: Date.parse(message.timestamp) }));
  socket.end();
};

let received = "";
socket.setEncoding("utf8");
socket.on("data", (chunk) => {
  received += chunk;
  if (command === "send" && received.split("\r\n").length > 2) socket.end();
  const json = command === "send" ? undefined : payload(received);
  if (json) show(json);
  else if (command === "subscribe" && received.includes("subscribe\r\n") && received.endsWith(":1\r\n")) console.log("ready");
});

if (command === "send") {
  const message = JSON.stringify({
    id: randomUUID(), timestamp: new Date().toISOString(), message: text, sender: "node-publisher", count: 1,
  });
  socket.write(pack("RPUSH", "message_queue", message) + pack("PUBLISH", "messages", message));
} else if (command === "blpop") {
  socket.write(pack("BLPOP", "message_queue", "20"), () => console.log("ready"));
} else {
  socket.write(pack("SUBSCRIBE", "messages"));
}
