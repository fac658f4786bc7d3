// Completes package-lock.json after `npm install`: node scripts/complete-lock.mjs
//
// A package with native code has an optional package per platform. npm leaves out of the lock those
// that its registry did not serve while the lock was made, and then `npm ci` refuses the lock on
// every machine. An entry without integrity is enough: `npm ci` skips what is not for its platform.
// A test (tidy) fails when an entry is missing, and when any other package has no integrity.

import { readFileSync, writeFileSync } from 'node:fs'

const FILE = 'package-lock.json'
const lock = JSON.parse(readFileSync(FILE, 'utf8'))

for (const entry of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`
    if (lock.packages[key] !== undefined) continue
    lock.packages[key] = { version, ...platformOf(name), ...(entry.dev ? { dev: true } : {}) }
    lock.packages[key].optional = true
    console.log(`added ${name} ${version}`)
  }
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1))
lock.packages = Object.fromEntries(sorted)
writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`)

/**
 * `@scope/binding-linux-x64-musl` says what it is for.
 * @param {string} name
 */
function platformOf(name) {
  const match = /-(android|darwin|freebsd|linux|openharmony|win32)-([a-z0-9]+)(?:-([a-z]+))?$/.exec(
    name,
  )
  if (match === null) throw new Error(`cannot tell the platform of ${name}`)
  const [, os, cpu, abi] = match
  const libc = abi?.startsWith('musl') ? 'musl' : 'glibc'
  return { cpu: [cpu], ...(os === 'linux' ? { libc: [libc] } : {}), os: [os] }
}
