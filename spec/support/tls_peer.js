// TLS peer for specs, run by Node: node tls_peer.js <what> <port> <ca> <chain|-> <key|-> [name=value]
//   echo    server that sends back what it gets, and ends when the client does
//   smtp    server that says EHLO, STARTTLS, and 250 to the rest within TLS
//   inject  the same, but a forged line follows "220" in clear
//   client  sends 1 MiB, half-closes, and compares what comes back
// Options: alpn=a,b min=TLSv1.2 max=TLSv1.3 ask=1 (for a client certificate) require=1 again=1 (client:
// second connection with the first one's session). Prints one line of JSON for each thing that happens.
"use strict";
const tls = require("tls"), net = require("net"), fs = require("fs"), crypto = require("crypto");

const [what, port, ca, chain, key, ...rest] = process.argv.slice(2);
const opts = Object.fromEntries(rest.map((word) => word.split(/=(.*)/s).slice(0, 2)));
const print = (event) => fs.writeSync(1, JSON.stringify(event) + "\n");
const context = { ca: fs.readFileSync(ca) };
if (chain !== "-") {
  context.cert = fs.readFileSync(chain);
  context.key = fs.readFileSync(key);
}
if (opts.alpn) context.ALPNProtocols = opts.alpn.split(",");
if (opts.min) context.minVersion = opts.min;
if (opts.max) context.maxVersion = opts.max;
if (opts.ciphers) context.ciphers = opts.ciphers;

const facts = (socket) => ({
  event: "up", version: socket.getProtocol(), cipher: socket.getCipher().standardName,
  alpn: socket.alpnProtocol, resumed: socket.isSessionReused(), authorized: socket.authorized,
  name: socket.servername, peer: (socket.getPeerCertificate().subject || {}).CN,
});

function watch(socket) {
  socket.on("error", (e) => print({ event: "error", code: e.code, text: e.message }));
  socket.on("end", () => print({ event: "end" }));
  socket.on("close", () => print({ event: "close" }));
}

function echo() {
  const server = tls.createServer({ ...context, requestCert: !!(opts.ask || opts.require),
    rejectUnauthorized: !!opts.require, allowHalfOpen: true }, (socket) => {
    print(facts(socket));
    watch(socket);
    socket.pipe(socket);
  });
  server.on("tlsClientError", (e) => print({ event: "refused", code: e.code, text: e.message }));
  server.listen(+port, "127.0.0.1");
}

function smtp(inject) {
  net.createServer((plain) => {
    let stream = plain;
    const answer = (line, secure) => {
      const verb = line.split(" ")[0].toUpperCase();
      print({ event: "line", line, secure });
      if (verb === "EHLO") return secure ? "250 hello again\r\n" : "250-hello\r\n250 STARTTLS\r\n";
      if (verb === "QUIT") return "221 bye\r\n";
      if (verb === "STARTTLS" && !secure) return "220 go on\r\n" + (inject ? "250 forged\r\n" : "");
      return "250 fine\r\n";
    };
    const serve = (secure) => {
      let text = "";
      const on = (data) => {
        text += data;
        for (let at; (at = text.indexOf("\n")) >= 0;) {
          const line = text.slice(0, at).trimEnd();
          text = text.slice(at + 1);
          const reply = answer(line, secure);
          stream.write(reply);
          if (reply.startsWith("220")) {
            plain.removeListener("data", on);
            stream = new tls.TLSSocket(plain, { isServer: true, ...context });
            stream.on("secure", () => print(facts(stream)));
            watch(stream);
            return serve(true);
          }
          if (reply.startsWith("221")) return stream.end();
        }
      };
      stream.on("data", on);
    };
    watch(plain);
    serve(false);
    plain.write("220 localhost ready\r\n");
  }).listen(+port, "127.0.0.1");
}

function client(session, done) {
  const bytes = crypto.randomBytes(1 << 20);
  const got = [];
  const socket = tls.connect({ ...context, port: +port, host: "127.0.0.1", servername: "localhost",
    session, allowHalfOpen: true }, () => {
    print(facts(socket));
    socket.end(bytes);
  });
  let kept;
  socket.on("session", (s) => (kept = s));
  socket.on("data", (data) => got.push(data));
  socket.on("end", () => print({ event: "echo", equal: Buffer.concat(got).equals(bytes) }));
  socket.on("error", (e) => print({ event: "error", code: e.code, text: e.message }));
  socket.on("close", () => done(kept));
}

if (what === "echo") echo();
else if (what === "client") client(undefined, (session) => opts.again && client(session, () => {}));
else smtp(what === "inject");
