import { expect, it } from 'vitest'
import { filterList } from '../../../../src/transports/wire/list-filter.ts'

function filtered(line: string, keeps: (element: string) => boolean): string {
  const bytes = Buffer.from(`${line}\n`)
  return filterList(bytes, bytes.length, 'crons', (element) => keeps(element.toString())).toString()
}

const line =
  '{"ok":true,"reqId":"\\"crons\\":[","crons":[1,{"a":"],["},[[]],"x,y"],"n":{"crons":[7]}}'

it('takes elements out of a list and leaves the rest as it is', () => {
  expect(filtered(line, () => true)).toBe(`${line}\n`)
  const start = '{"ok":true,"reqId":"\\"crons\\":[","crons":['
  const end = '],"n":{"crons":[7]}}\n'
  expect(filtered(line, () => false)).toBe(`${start}${end}`)
  expect(filtered(line, (element) => element.startsWith('{'))).toBe(`${start}{"a":"],["}${end}`)
  expect(filtered(line, (element) => !element.startsWith('{'))).toBe(`${start}1,[[]],"x,y"${end}`)
})

it('leaves a reply without the list as it is', () => {
  for (const other of [
    '{"ok":true,"crons":[]}',
    '{"ok":true,"other":["crons"]}',
    '{"ok":false,"error":"crons","code":"unavailable"}',
    '{"ok":true}',
  ]) {
    expect(filtered(other, () => false)).toBe(`${other}\n`)
  }
})
