// Echo server on Node's net module in its usual quick form: write what came, no pipe. Started by
// scripts/bench/run; prints "port N" first.
"use strict";
const net = require("net");

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on("data", (data) => socket.write(data));
  socket.on("error", () => socket.destroy());
});

server.listen({ host: "127.0.0.1", port: 0, backlog: 511 }, () => {
  console.log("port " + server.address().port);
});
