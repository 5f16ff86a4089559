// TLS server on Node: tls_node.js CERT KEY. Data from the client is answered with 64 MiB and the
// end. Started by scripts/bench/run; prints "port N" first.
'use strict';
const fs = require('fs');
const tls = require('tls');

const piece = Buffer.alloc(65536, 'x');
const server = tls.createServer({
  cert: fs.readFileSync(process.argv[2]), key: fs.readFileSync(process.argv[3]),
}, (socket) => {
  let left = 0;
  const pump = () => {
    while (left > 0) {
      left--;
      if (!socket.write(piece)) {
        socket.once('drain', pump);
        return;
      }
    }
    socket.end();
  };
  socket.on('error', () => {});
  socket.on('data', () => {
    if (left === 0) {
      left = 1024;
      pump();
    }
  });
});
server.on('tlsClientError', () => {});
server.listen({ host: '127.0.0.1', port: 0, backlog: 511 },
  () => console.log('port ' + server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
