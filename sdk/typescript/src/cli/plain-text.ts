// Text for a terminal that obeys: whatever a job holds is shown, never executed.
//
// 1. Control characters of both sets (ESC, and the one-byte CSI that some terminals obey) are written as escapes, and
//    so are the marks that turn the direction of writing.
// 2. Widths are columns: East Asian characters and emoji take two, combining marks none.

/** Controls, and marks that are not seen but obeyed: directions, joiners, line and paragraph separators. */
const CONTROL = /[\p{Cc}\p{Cf}\u2028\u2029]/gu
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u
const MARK = /\p{Mark}/u

/** On one line. */
export function plain(text: string): string {
  return text.replace(CONTROL, escaped)
}

/** JSON whose strings hold no control character as such; it is the same JSON. */
export function plainJson(text: string): string {
  // Those of ASCII can only be its own line breaks.
  return text.replace(CONTROL, (char) => (char < ' ' ? char : escaped(char)))
}

export function widthOf(text: string): number {
  let columns = 0
  for (const char of text) columns += charWidth(char)
  return columns
}

/** At most so many columns; what is left out shows as `…`. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  let kept = ''
  let used = 0
  for (const char of text) {
    const width = charWidth(char)
    if (used + width > columns - 1) break
    kept += char
    used += width
  }
  return columns <= 0 ? '' : `${kept}…`
}

function charWidth(char: string): number {
  if (char >= ' ' && char <= '~') return 1
  if (MARK.test(char)) return 0
  return WIDE.test(char) ? 2 : 1
}

function escaped(char: string): string {
  if (char === '\n') return '\\n'
  if (char === '\t') return '\\t'
  return Array.from({ length: char.length }, (_, place) => {
    const unit = char.charCodeAt(place).toString(16).padStart(4, '0')
    return `\\u${unit}`
  }).join('')
}
