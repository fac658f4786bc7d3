// Scripts that let a shell complete commands and flags. They hold the whole table, so completing asks nobody.

import { type CliCommand, COMMON_FLAGS } from './command.ts'
import type { Flag } from './flag.ts'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

export function completionScript(shell: Shell, commands: readonly CliCommand[]): string {
  switch (shell) {
    case 'bash':
      return bashScript(commands)
    case 'zsh':
      // zsh runs bash's completions.
      return `autoload -U +X bashcompinit && bashcompinit\n${bashScript(commands)}`
    case 'fish':
      return fishScript(commands)
  }
}

/** What may follow each word of a command: `dlq` → list, purge, retry. */
function followers(commands: readonly CliCommand[]): Map<string, string[]> {
  const words = new Map<string, string[]>([['', []]])
  for (const { name } of commands) {
    const [first = '', second] = name.split(' ')
    const firsts = words.get('') ?? []
    if (!firsts.includes(first)) firsts.push(first)
    if (second !== undefined) words.set(first, [...(words.get(first) ?? []), second])
  }
  words.set('completion', [...SHELLS])
  return words
}

function bashScript(commands: readonly CliCommand[]): string {
  const words = followers(commands)
  const cases = [...words]
    .filter(([first]) => first !== '')
    .map(
      ([first, next]) =>
        `    '${first} 1') COMPREPLY=($(compgen -W '${next.join(' ')}' -- "$word"));;`,
    )
  const flags = commands.map(
    ({ name, flags: own }) => `    '${name}') flags='${flagWords(own).join(' ')}';;`,
  )
  const choices = commands.flatMap(({ flags: own }) => own).filter((flag) => flag.choices)
  const values = choices.map(
    (flag) =>
      `    --${flag.name}) COMPREPLY=($(compgen -W '${flag.choices?.join(' ')}' -- "$word")); return;;`,
  )
  return `_flashq() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} first='' second='' place=0 flags='' at
  COMPREPLY=()
  for ((at = 1; at < COMP_CWORD; at++)); do
    case \${COMP_WORDS[at]} in
      -*) ;;
      *) place=$((place + 1))
         if [ $place = 1 ]; then first=\${COMP_WORDS[at]}; elif [ $place = 2 ]; then second=\${COMP_WORDS[at]}; fi;;
    esac
  done
  case $before in
${values.join('\n')}
    --file|-f) COMPREPLY=($(compgen -f -- "$word")); return;;
  esac
  if [ "\${word#-}" != "$word" ]; then
    case "$first" in
${flags.filter((line) => !/'\S+ \S+'\)/.test(line)).join('\n')}
    esac
    case "$first $second" in
${flags.filter((line) => /^ {4}'\S+ \S+'\)/.test(line)).join('\n')}
    esac
    COMPREPLY=($(compgen -W "$flags ${flagWords(COMMON_FLAGS).join(' ')}" -- "$word"))
    return
  fi
  if [ $place = 0 ]; then
    COMPREPLY=($(compgen -W '${words.get('')?.join(' ')}' -- "$word"))
    return
  fi
  case "$first $place" in
${cases.join('\n')}
  esac
}
complete -F _flashq flashq`
}

function fishScript(commands: readonly CliCommand[]): string {
  const lines = ['complete -c flashq -f']
  const words = followers(commands)
  for (const first of words.get('') ?? []) {
    const about = commands.find(({ name }) => name === first)?.about ?? ''
    lines.push(`complete -c flashq -n __fish_use_subcommand -a ${first} -d ${quoted(about)}`)
  }
  for (const [first, next] of words) {
    if (first === '') continue
    const when = `__fish_seen_subcommand_from ${first}; and not __fish_seen_subcommand_from ${next.join(' ')}`
    lines.push(`complete -c flashq -n ${quoted(when)} -a ${quoted(next.join(' '))}`)
  }
  for (const { name, flags } of commands) {
    const when = name
      .split(' ')
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join('; and ')
    for (const flag of flags) lines.push(`complete -c flashq -n ${quoted(when)} ${fishFlag(flag)}`)
  }
  for (const flag of COMMON_FLAGS) lines.push(`complete -c flashq ${fishFlag(flag)}`)
  return lines.join('\n')
}

function fishFlag(flag: Flag): string {
  const short = flag.short === undefined ? '' : ` -s ${flag.short}`
  const value =
    flag.kind === 'switch'
      ? ''
      : flag.name === 'file'
        ? ' -r -F'
        : ` -x${flag.choices === undefined ? '' : ` -a ${quoted(flag.choices.join(' '))}`}`
  return `-l ${flag.name}${short}${value} -d ${quoted(flag.about)}`
}

function flagWords(flags: readonly Flag[]): string[] {
  return flags.map((flag) => `--${flag.name}`)
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
