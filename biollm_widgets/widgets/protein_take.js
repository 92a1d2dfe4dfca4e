// A part of the page of ProteinPanel: take.

export {};
