import { describe, expect, it } from 'vitest'
import { type Setting, settings } from '../../src/config.ts'
import { answerArguments, helpText } from '../../src/help.ts'

describe('the command line', () => {
  it('starts the server when there are no arguments', () => {
    expect(answerArguments([])).toBeNull()
  })

  it('prints every setting, with its default and its bounds, on --help', () => {
    expect(answerArguments(['--help'])).toEqual({ text: helpText(), exitCode: 0 })
    for (const setting of Object.values(settings) as Setting<unknown>[]) {
      expect(helpText()).toContain(`\n${setting.name}\n    ${setting.meaning}\n`)
      expect(helpText()).toContain(`    allowed: ${setting.allowed}\n`)
    }
  })

  it('prints the version alone on --version', () => {
    expect(answerArguments(['--version'])?.text).toMatch(/^\d+\.\d+\.\d+\S*\n$/)
  })

  it('refuses what it does not know, rather than ignore it', () => {
    for (const args of [['--port', '80'], ['--help', 'x'], ['\u001b[2J']]) {
      const answer = answerArguments(args)
      expect(answer?.exitCode).toBe(2)
      expect(answer?.text).not.toContain('\u001b')
    }
  })
})
