// .cache/run holds a file per server that make started in this checkout, named by its process id.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'

const FOLDER = '.cache/run'
/** What the command line of such a process has in it: an id may have gone to another program. */
const COMMANDS = ['dist/main.js', 'scripts/dev.mjs']

/** @param {number} pid */
export function record(pid) {
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(`${FOLDER}/${pid}`, '')
}

/** @param {number} pid */
export function forget(pid) {
  rmSync(`${FOLDER}/${pid}`, { force: true })
}

/** @returns {number[]} ids that were recorded, alive or not */
export function recorded() {
  mkdirSync(FOLDER, { recursive: true })
  return readdirSync(FOLDER).map(Number).filter(Number.isSafeInteger)
}

/** @param {number} pid */
export function isOurs(pid) {
  const command = commandOf(pid)
  return COMMANDS.some((part) => command.includes(part))
}

/** @param {number} pid */
function commandOf(pid) {
  try {
    const options = /** @type {const} */ ({ encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return execFileSync('ps', ['-p', String(pid), '-o', 'command='], options)
  } catch {
    return '' // no such process
  }
}
