// What V8's collector is told in a worker, before anything runs hot.

import { setFlagsFromString } from 'node:v8'

/**
 * Objects are made where short-lived ones are collected, always.
 *
 * V8 guesses from the first of them which live long, and lets compiled code make those among the old ones. At a start most
 * are kept; later they are the garbage of every command. With HTTP on it guessed wrong every time: 190 bytes a command among
 * the old, pauses of 5 to 14 ms seven times a second in place of 0.4, and a sixth of the commands a second. What
 * does live long, jobs, is in typed arrays, which this does not concern.
 */
export function makeObjectsYoung(): void {
  setFlagsFromString('--no-allocation-site-pretenuring')
}
