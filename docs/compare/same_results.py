#!/usr/bin/env python3
"""Compares two artifacts folders that the same commands made with two builds, without ids, times and fingerprints. Prints the
   files that differ.
   same_results.py FIRST SECOND; docs/compare/same_results.sh makes such a folder."""
import json,sys,os,re,hashlib
DROP={'id','fingerprint','started_utc','updated_utc','seconds','training_seconds','images_per_second','dq','commit','folder','run','resumed_at_steps'}
def norm(x,path=''):
    if isinstance(x,dict):
        return {k:norm(v) for k,v in sorted(x.items()) if k not in DROP}
    if isinstance(x,list): return [norm(v) for v in x]
    if isinstance(x,str): return re.sub(r'\d{4}-\d\d-\d\d-([\w.-]+?)-[0-9a-f]{8}\b',r'\1',re.sub(r'-[0-9a-f]{12}\b','',x))
    return x
def content(p):
    if p.endswith('.json'): return json.dumps(norm(json.load(open(p))),sort_keys=True)
    if p.endswith('.jsonl'): return '\n'.join(json.dumps(norm(json.loads(l)),sort_keys=True) for l in open(p))
    if p.endswith('curve.csv') or p.endswith('summary.csv'):
        rows=[l.strip().split(',') for l in open(p)]; h=rows[0]
        return '\n'.join(','.join(v for k,v in zip(h,r) if 'seconds' not in k and k!='run') for r in rows)
    return hashlib.sha256(open(p,'rb').read()).hexdigest()
def tree(root):
    out={}
    for d,_,fs in os.walk(root):
        for f in fs:
            if f in('.guard','lock.json') or f.startswith('claim-') or f.endswith('.tmp'): continue
            p=os.path.join(d,f); rel=os.path.relpath(p,root)
            rel=re.sub(r'\d{4}-\d\d-\d\d-([\w.-]+?)-[0-9a-f]{8}/',r'\1/',rel); rel=re.sub(r'-[0-9a-f]{12}/','/',rel)
            out[rel]=p
    return out
a,b=tree(sys.argv[1]),tree(sys.argv[2])
for k in sorted(set(a)^set(b)): print('only in', 'first' if k in a else 'second', k)
same=diff=0
for k in sorted(set(a)&set(b)):
    if content(a[k])==content(b[k]): same+=1
    else:
        diff+=1; print('differs',k)
        if k.endswith('.json'):
            x,y=norm(json.load(open(a[k]))),norm(json.load(open(b[k])))
            if isinstance(x,dict):
                for kk in sorted(set(x)|set(y)):
                    if x.get(kk)!=y.get(kk): print('   ',kk, str(x.get(kk))[:150],'|',str(y.get(kk))[:150])
print(same,'equal',diff,'differ')
