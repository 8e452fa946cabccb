// Completes package-lock.json for all platforms.
// A registry that lacks the packages of some platforms (macOS, Windows ...) makes npm leave them out of the lock file, and
// `npm ci` then refuses it ("Missing: ... from lock file"). This adds each missing optional package with the version its parent
// names, and the os/cpu that its own name tells, so that npm skips it elsewhere and can still find it where it belongs.
import fs from 'node:fs';

const osOf = [
  [/mac|darwin/, 'darwin'],
  [/win/, 'win32'],
  [/android/, 'android'],
  [/freebsd/, 'freebsd'],
  [/openbsd/, 'openbsd'],
  [/openharmony|ohos/, 'openharmony'],
];
const cpuOf = [
  [/arm64|aarch64/, 'arm64'],
  [/riscv64/, 'riscv64'],
  [/ppc64/, 'ppc64'],
  [/s390x/, 's390x'],
  [/loong64/, 'loong64'],
  [/arm/, 'arm'],
  [/ia32|i686/, 'ia32'],
  [/wasm/, 'wasm32'],
];
const first = (table, name, otherwise) => (table.find(([re]) => re.test(name)) ?? [0, otherwise])[1];

const lock = JSON.parse(fs.readFileSync('package-lock.json', 'utf8'));
let added = 0;
for (const [parent, entry] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (lock.packages[key] ?? lock.packages[`${parent}/${key}`]) continue;
    lock.packages[key] = {
      version: range.replace(/^[\^~]/, ''),
      optional: true,
      os: [first(osOf, name, 'linux')],
      cpu: [first(cpuOf, name, 'x64')],
    };
    added += 1;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
fs.writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`);
console.log(`completed package-lock.json: ${added} optional packages added`);
