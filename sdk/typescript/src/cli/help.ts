// What `flashq help` says. The page docs/cli.md is made from the same table.

import { type CliCommand, COMMON_FLAGS } from './command.ts'
import type { Flag } from './flag.ts'
import { fieldLines } from './table.ts'

export function usageOf(command: CliCommand): string {
  return ['flashq', command.name, ...command.words].join(' ')
}

export function generalHelp(commands: readonly CliCommand[]): string {
  const list = commands.map((command): [string, string] => [
    `  ${[command.name, ...command.words].join(' ')}`,
    command.about,
  ])
  return [
    'flashq: the command line of the FlashQ job-queue server',
    '',
    ...fieldLines(list),
    '',
    'Every command takes:',
    ...flagLines(COMMON_FLAGS),
    '',
    'The server is FLASHQ_URL (flashq://[:token@]host:port, flashqs:// for TLS, unix:/path, http(s)://host:port),',
    'its token FLASHQ_TOKEN. Exit codes: 0 done, 1 refused, 2 wrong command line, 3 no connection, 4 nothing there.',
  ].join('\n')
}

export function commandHelp(command: CliCommand): string {
  const lines = [`${usageOf(command)}`, '', `${command.about}.`]
  if (command.detail !== undefined) lines.push(command.detail)
  if (command.flags.length > 0) lines.push('', ...flagLines(command.flags))
  lines.push('', 'And as everywhere:', ...flagLines(COMMON_FLAGS))
  if (command.json !== undefined) lines.push('', `With --json: ${command.json}.`)
  return lines.join('\n')
}

export function flagText(flag: Flag): string {
  const short = flag.short === undefined ? '' : `-${flag.short}, `
  const value = flag.kind === 'switch' ? '' : ` ${flag.value ?? 'VALUE'}`
  return `${short}--${flag.name}${value}`
}

function flagLines(flags: readonly Flag[]): string[] {
  return fieldLines(flags.map((flag) => [`  ${flagText(flag)}`, flag.about]))
}
