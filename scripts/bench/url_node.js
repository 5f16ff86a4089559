// Node's `new URL` on url_list.txt. Started by scripts/bench/run; prints one JSON line per case.
"use strict";

const fs = require("fs");
const path = require("path");

const counts = { "typical": 600000, "to be repaired": 200000, "long query": 100000 };
const lists = {};
for (const line of fs.readFileSync(path.join(__dirname, "url_list.txt"), "utf8").split("\n")) {
  const [name, text] = line.split("\t");
  if (text !== undefined) {
    (lists[name] = lists[name] || []).push(text);
  }
}

let seen = 0;

function work(list, rounds) {
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < list.length; i++) {
      seen += new URL(list[i]).href.length;
    }
  }
}

for (const name of Object.keys(lists)) {
  const rounds = Math.floor(counts[name] / lists[name].length);
  work(lists[name], rounds / 10); // so that the compiler is done
  const started = process.cpuUsage();
  work(lists[name], rounds);
  const used = process.cpuUsage(started);
  const cpu = Math.round((used.user + used.system) * 1000);
  console.log(JSON.stringify({ case: name, count: rounds * lists[name].length, cpu_ns: cpu }));
}
process.exitCode = seen > 0 ? 0 : 1;
