// Look-ups of Node: COUNT distinct names at once, by dns.lookup (getaddrinfo in the thread pool) or
// by dns.resolve4 and dns.resolve6 (c-ares). Started by scripts/bench/run; prints one JSON line.
"use strict";

const dns = require("dns").promises;

const lookUp = {
  lookup: (name) => dns.lookup(name, { all: true }),
  resolve: (name) => Promise.all([dns.resolve4(name), dns.resolve6(name)]),
}[process.argv[2]];
const count = Number(process.argv[3]);

function all(n, prefix) {
  const list = [];
  for (let i = 0; i < n; i++) {
    list.push(lookUp(`${prefix}${i}.bench.test`));
  }
  return Promise.all(list);
}

async function main() {
  await all(1, "warm");
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  await all(count, "n");
  const wall = Number(process.hrtime.bigint() - start);
  const used = process.cpuUsage(cpu);
  console.log(JSON.stringify({ count, wall_ns: wall, cpu_ns: (used.user + used.system) * 1000 }));
}

main().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
