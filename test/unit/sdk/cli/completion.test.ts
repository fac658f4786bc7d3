import { spawnSync } from 'node:child_process'
import { beforeEach, describe, expect, it } from 'vitest'
import { COMMANDS } from '../../../../sdk/typescript/src/cli/catalog.ts'
import { COMMON_FLAGS } from '../../../../sdk/typescript/src/cli/command.ts'
import { completionScript, SHELLS } from '../../../../sdk/typescript/src/cli/completion.ts'

const hasShell = (shell: string): boolean => spawnSync(shell, ['-c', ':']).status === 0
const skipWithout = (shell: string, skip: (why: string) => unknown): void => {
  if (!hasShell(shell)) skip(`${shell} is not here`)
}

/** What bash would offer for the last word. */
function offered(...words: string[]): string[] {
  const script = `${completionScript('bash', COMMANDS)}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _flashq; printf '%s\\n' "\${COMPREPLY[@]}"`
  const run = spawnSync('bash', ['-c', script, 'bash', 'flashq', ...words], { encoding: 'utf8' })
  expect(run.stderr).toBe('')
  return run.stdout.split('\n').filter((line) => line !== '')
}

describe('completion', () => {
  for (const shell of SHELLS) {
    it(`for ${shell} knows every command and flag`, () => {
      const script = completionScript(shell, COMMANDS)
      for (const { name, flags } of COMMANDS) {
        for (const word of name.split(' ')) expect(script).toContain(word)
        for (const flag of flags) expect(script).toContain(flag.name)
      }
    })

    it(`for ${shell} is a script that ${shell} can read`, ({ skip }) => {
      skipWithout(shell, skip)
      const run = spawnSync(shell, ['-n'], {
        input: completionScript(shell, COMMANDS),
        encoding: 'utf8',
      })
      expect(run).toMatchObject({ status: 0, stderr: '' })
    })
  }

  describe('in bash', () => {
    beforeEach(({ skip }) => skipWithout('bash', skip))

    it('offers commands, then their second words', () => {
      expect(offered('pu')).toEqual(['push', 'pull'])
      expect(offered('')).toContain('dlq')
      expect(offered('dlq', '')).toEqual(['list', 'retry', 'purge'])
      expect(offered('completion', 'z')).toEqual(['zsh'])
    })

    it('offers the flags of the command, and those that all have', () => {
      expect(offered('push', 'mail', '--pri')).toEqual(['--priority'])
      expect(offered('dlq', 'purge', '--y')).toEqual(['--yes'])
      expect(offered('stats', '--')).toEqual(COMMON_FLAGS.map(({ name }) => `--${name}`))
    })

    it('offers the values that a flag can have', () => {
      expect(offered('jobs', '--state', 'wa')).toEqual(['waiting', 'waiting-children'])
      expect(offered('tail', '--types', 're')).toEqual(['retrying'])
    })
  })
})
