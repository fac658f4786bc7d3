// What the command line says about itself.

import { VERSION } from '../../version.ts'
import type { CliCommand } from '../command.ts'
import { completionScript, SHELLS } from '../completion.ts'
import { EXIT, UsageError } from '../exit-code.ts'
import { commandHelp, generalHelp } from '../help.ts'
import { nearest } from '../suggestion.ts'

export const help: CliCommand = {
  name: 'help',
  words: ['[command]', '[part]'],
  about: 'all commands, or all about one',
  flags: [],
  async run({ words, out, commands }) {
    if (words.length === 0) {
      out.line(generalHelp(commands))
      return EXIT.ok
    }
    const name = words.join(' ')
    const found = commands.filter((one) => one.name === name || one.name.startsWith(`${name} `))
    if (found.length === 0) {
      const meant = nearest(
        name,
        commands.map((one) => one.name),
      )
      const hint = meant === null ? '' : `; did you mean ${meant}?`
      throw new UsageError(`there is no command ${JSON.stringify(name)}${hint}`)
    }
    out.line(found.map(commandHelp).join('\n\n'))
    return EXIT.ok
  },
}

export const completion: CliCommand = {
  name: 'completion',
  words: ['<shell>'],
  about: 'a script that completes commands and flags: bash, zsh or fish',
  detail:
    'bash: `source <(flashq completion bash)`; zsh: the same, after compinit; fish: `flashq completion fish | source`.',
  flags: [],
  async run({ words, out, commands }) {
    const shell = SHELLS.find((one) => one === words[0])
    if (shell === undefined) {
      throw new UsageError(`completion is for ${SHELLS.join(', ')}`, 'completion')
    }
    out.line(completionScript(shell, commands))
    return EXIT.ok
  },
}

export const version: CliCommand = {
  name: 'version',
  words: [],
  about: 'the version of this program',
  flags: [],
  json: '`{"version":TEXT}`',
  async run({ out }) {
    if (out.json) out.document({ version: VERSION })
    else out.line(VERSION)
    return EXIT.ok
  },
}
