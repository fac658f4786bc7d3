// The words of a command line, sorted: which command, its words, its flags.
//
//   flashq --url X dlq retry mail --id 7        --flag value, --flag=value, -f value, -fvalue; after `--` only words

import { type CliCommand, COMMON_FLAGS } from './command.ts'
import { UsageError } from './exit-code.ts'
import { type Flag, Flags } from './flag.ts'
import { nearest } from './suggestion.ts'

export interface Parsed {
  readonly command: CliCommand
  readonly words: string[]
  readonly flags: Flags
}

/** Throws a UsageError. */
export function parseArguments(
  args: readonly string[],
  commands: readonly CliCommand[],
  nowMs: number,
): Parsed {
  const { command, rest } = findCommand(args, commands)
  const flags = new Flags(nowMs)
  const words = readWords(rest, command, flags)
  if (!flags.has('help')) checkWords(command, words)
  return { command, words, flags }
}

/** The first words that are no flags, nor values of common ones. */
function findCommand(
  args: readonly string[],
  commands: readonly CliCommand[],
): { command: CliCommand; rest: string[] } {
  const places: number[] = []
  for (let at = 0; at < args.length && places.length < 2; at += 1) {
    const arg = args[at] ?? ''
    if (!arg.startsWith('-')) places.push(at)
    else if (takesNext(arg)) at += 1
  }
  const [first = -1, second = -1] = places
  const one = args[first]
  if (one === undefined) throw new UsageError('which command?')
  const two = `${one} ${args[second] ?? ''}`
  const pair = commands.find(({ name }) => name === two)
  if (pair !== undefined) return { command: pair, rest: without(args, [first, second]) }
  const single = commands.find(({ name }) => name === one)
  if (single !== undefined) return { command: single, rest: without(args, [first]) }
  throw unknownCommand(one, args[second], commands)
}

function unknownCommand(
  one: string,
  two: string | undefined,
  commands: readonly CliCommand[],
): UsageError {
  const parts = commands.filter(({ name }) => name.startsWith(`${one} `))
  if (parts.length > 0) {
    const names = parts.map(({ name }) => name.slice(one.length + 1))
    const meant = two === undefined ? null : nearest(two, names)
    const hint = meant === null ? '' : `; did you mean ${meant}?`
    return new UsageError(`${one} what? One of ${names.join(', ')}${hint}`)
  }
  const firsts = [...new Set(commands.map(({ name }) => name.split(' ')[0] ?? ''))]
  const meant = nearest(one, firsts)
  const hint = meant === null ? '' : `; did you mean ${meant}?`
  return new UsageError(`there is no command ${JSON.stringify(one)}${hint}`)
}

function takesNext(arg: string): boolean {
  if (arg.includes('=')) return false
  const flag = COMMON_FLAGS.find(({ name, short }) => arg === `--${name}` || arg === `-${short}`)
  return flag !== undefined && flag.kind !== 'switch'
}

function without(args: readonly string[], places: readonly number[]): string[] {
  return args.filter((_, place) => !places.includes(place))
}

function readWords(args: readonly string[], command: CliCommand, flags: Flags): string[] {
  const known = [...command.flags, ...COMMON_FLAGS]
  const words: string[] = []
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? ''
    if (arg === '--') return [...words, ...args.slice(at + 1)]
    if (!/^-(?:-|[a-z])/.test(arg)) {
      words.push(arg)
      continue
    }
    const { flag, inline } = findFlag(arg, known, command)
    if (flag.kind === 'switch') {
      if (inline !== null) throw new UsageError(`--${flag.name} takes no value`, command.name)
      flags.set(flag, '')
      continue
    }
    const value = inline ?? args[at + 1]
    if (value === undefined) throw new UsageError(`--${flag.name} needs a value`, command.name)
    if (inline === null) at += 1
    flags.set(flag, value)
  }
  return words
}

function findFlag(
  arg: string,
  known: readonly Flag[],
  command: CliCommand,
): { flag: Flag; inline: string | null } {
  const [, long, rest] = /^--([^=]*)(?:=([\s\S]*))?$/.exec(arg) ?? []
  if (long !== undefined) {
    const flag = known.find(({ name }) => name === long)
    if (flag !== undefined) return { flag, inline: rest ?? null }
    const meant = nearest(
      long,
      known.map(({ name }) => name),
    )
    const hint = meant === null ? '' : `; did you mean --${meant}?`
    throw new UsageError(`${command.name} has no flag --${long}${hint}`, command.name)
  }
  const flag = known.find(({ short }) => short === arg[1])
  if (flag === undefined) throw new UsageError(`${command.name} has no flag ${arg}`, command.name)
  return { flag, inline: arg.length > 2 ? arg.slice(2) : null }
}

function checkWords(command: CliCommand, words: readonly string[]): void {
  const needed = command.words.filter((word) => word.startsWith('<'))
  const missing = needed[words.length]
  if (missing !== undefined) {
    throw new UsageError(`${command.name} needs ${missing.replace('...', '')}`, command.name)
  }
  const many = command.words.some((word) => word.endsWith('...'))
  const surplus = words[command.words.length]
  if (!many && surplus !== undefined) {
    throw new UsageError(
      `${command.name}: ${JSON.stringify(surplus)} is one word too many`,
      command.name,
    )
  }
}
