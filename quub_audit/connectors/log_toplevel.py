"""Top-level domains under which people have addresses.

All country codes (ISO 3166-1, and those that the root zone has besides), the generic ones of before 2012, and those of
the newer ones that are in common use and are no file's ending and no word of metrics (`zip`, `mov`, `map`, `rate` are
left out).
"""

from __future__ import annotations

_COUNTRIES = """
ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf cg
ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf gg gh gi
gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw
ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng
ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sk sl sm sn
so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws
ye yt za zm zw
"""
_GENERIC = """
com net org info biz edu gov mil int name pro aero asia cat coop jobs mobi museum post tel travel xxx
academy accountant accountants actor adult agency apartments app archi army art associates attorney auction band bank
bar bargains beer berlin best bet bid bike bio blog boutique broker build builders business cab cafe camera camp
capital cards care careers cash casino catering center chat cheap church city claims cleaning clinic clothing cloud club
coach codes coffee community company computer condos construction consulting contractors cooking cool country coupons
courses credit cruises dance date dating deals degree delivery democrat dental dentist design dev diamonds digital
direct directory discount doctor domains dog earth education email energy engineer engineering enterprises equipment
estate events exchange expert exposed express family fan fans farm fashion film finance financial fish fitness flights
florist football forsale foundation fun fund furniture futbol fyi gallery games garden gift gifts gives glass global
gmbh gold golf graphics gratis green group guide guru hamburg haus health healthcare help hockey holdings holiday
homes horse hospital host hosting hotel house immo immobilien inc industries ink institute insure international
investments jetzt jewelry kaufen kim kitchen koeln land law lawyer lease legal life lighting limited limo live llc
loan loans london love ltd ltda luxury maison management market marketing mba media medical memorial men moda moe mom
money mortgage nagoya network news ninja nyc one onl online ooo organic paris partners parts party pet photo photography
photos physio pictures pink pizza place plumbing plus poker press productions promo properties property pub quebec
racing realty recipes reise reisen rentals repair republican rest restaurant review reviews rip rocks rodeo ruhr sale
salon school science scot services shoes shop shopping show singles site ski soccer social software solar solutions
space storage store stream studio study style supplies supply support surf surgery swiss systems tattoo tax taxi team
tech technology tennis theater tienda tips tires today tokyo tools tours town toys trade training university vacations
vegas ventures vet viajes video villas vin vip vision vodka vote voto voyage wales watch webcam website wedding wien
wiki win wine work works world wtf xyz yoga zone
"""

TOP_LEVEL_DOMAINS = frozenset((_COUNTRIES + _GENERIC).split())
"""Lower case. Those in other scripts (`xn--…`) are taken without a look."""
