// UDP echo on Node's dgram. Started by scripts/bench/run; prints "port N" first.
"use strict";
const dgram = require("dgram");

const socket = dgram.createSocket("udp4");
socket.on("message", (data, from) => socket.send(data, from.port, from.address));
socket.bind(0, "127.0.0.1", () => console.log("port " + socket.address().port));
