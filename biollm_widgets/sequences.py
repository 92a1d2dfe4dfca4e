import gzip
from types import SimpleNamespace
def reverse_complement(s): return s.translate(str.maketrans("ACGTN","TGCAN"))[::-1]
def read_fasta(path, alphabet="dna"):
    s="".join(l.strip() for l in gzip.open(path,"rt") if l[0]!=">")
    yield SimpleNamespace(sequence=s)
