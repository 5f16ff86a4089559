// Task costs of Node, for scale: awaiting a settled promise in async functions (a microtask, no
// turn of the loop), and starting async functions by the thousand and awaiting them. Started by
// scripts/bench/run; prints one JSON line per case.
"use strict";

async function measure(name, count, work) {
  const started = process.cpuUsage();
  await work();
  const used = process.cpuUsage(started);
  const cpu = Math.round((used.user + used.system) * 1000);
  console.log(JSON.stringify({ case: name, count: count, cpu_ns: cpu }));
}

async function turns(count) {
  for (let i = 0; i < count; i++) {
    await null;
  }
}

async function together(tasks, work) {
  const list = [];
  for (let i = 0; i < tasks; i++) {
    list.push(work());
  }
  await Promise.all(list);
}

async function main() {
  for (const tasks of [2, 1000]) {
    const each = 1000000 / tasks;
    await measure(`switch, ${tasks} tasks`, 1000000, () => together(tasks, () => turns(each)));
  }
  await measure("spawn and join", 300000, async () => {
    for (let i = 0; i < 300; i++) {
      await together(1000, () => turns(1));
    }
  });
}

main();
