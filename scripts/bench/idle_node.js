// Server for idle connections on Node's net module. Echoes the byte; before a "g" it collects all
// garbage (--expose-gc). Started by scripts/bench/run; prints "port N" first.
"use strict";
const net = require("net");

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on("data", (data) => {
    if (data.toString() === "g") {
      global.gc();
      global.gc();
    }
    socket.write(data);
  });
  socket.on("error", () => socket.destroy());
});

server.listen({ host: "127.0.0.1", port: 0, backlog: 511 }, () => {
  console.log("port " + server.address().port);
});
