// A part of the page of ProteinPanel: judging.

export {};
