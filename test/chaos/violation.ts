// What a rule says when a history breaks it. The numbers are those of the fault catalogue's invariants.

type Rule =
  | 'I1'
  | 'I2'
  | 'I3'
  | 'I4'
  | 'I5'
  | 'I6'
  | 'I7'
  | 'I8'
  | 'I9'
  | 'I10'
  | 'I11'
  | 'I12'
  | 'I13'
  | 'I15'
  | 'L1'
  /** A refusal that nothing in the workload asks for. */
  | 'R1'

export interface Violation {
  readonly rule: Rule
  readonly text: string
}

export type Complain = (rule: Rule, text: string) => void
