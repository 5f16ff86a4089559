// Timer costs of Node: setTimeout and clearTimeout. Started by scripts/bench/run; prints one JSON
// line per case.
"use strict";

const COUNT = 1000000;
const IDLE_MS = 60000;

function measure(name, work) {
  const started = process.cpuUsage();
  work();
  const used = process.cpuUsage(started);
  const cpu = Math.round((used.user + used.system) * 1000);
  console.log(JSON.stringify({ case: name, count: COUNT, cpu_ns: cpu }));
}

function onTimer() {
  throw new Error("a timer of a minute or more expired");
}

measure("arm and cancel, one at a time", () => {
  for (let i = 0; i < COUNT; i++) {
    clearTimeout(setTimeout(onTimer, IDLE_MS));
  }
});

measure("1,000,000 armed together, then cancelled", () => {
  const timers = new Array(COUNT);
  for (let i = 0; i < COUNT; i++) {
    timers[i] = setTimeout(onTimer, IDLE_MS + ((i * 7919) % IDLE_MS));
  }
  for (let i = 0; i < COUNT; i++) {
    clearTimeout(timers[i]);
  }
});
