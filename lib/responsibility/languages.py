"""The same everyday sentences in ten languages and five scripts, put together from parts, so that
all say the same thing.
"""

import itertools
from collections import Counter

import numpy as np

from ..data.generated import reviews
from .tokens import count_words

# who | does | what | when or where, a line for each; a backslash only breaks the line of the file
_PARTS = {
    "English": """The teacher|The doctor|My neighbour|The farmer|My brother|The driver|The cook|\
The student|The baker|The old man
        buys|reads|drinks|opens|waits|writes|sings|looks|washes|speaks
        bread|a letter|tea|the window|for the bus|a book|a song|for the key|the car|with the child
        in the morning|in the evening|today|every day|at home|in the city|after work|before lunch|\
in winter|on Sunday""",
    "Portuguese": """O professor|O médico|O meu vizinho|O agricultor|O meu irmão|O motorista|\
O cozinheiro|O estudante|O padeiro|O velho
        compra|lê|bebe|abre|espera|escreve|canta|procura|lava|fala
        pão|uma carta|chá|a janela|pelo autocarro|um livro|uma canção|a chave|o carro|com a criança
        de manhã|à noite|hoje|todos os dias|em casa|na cidade|depois do trabalho|antes do almoço|\
no inverno|ao domingo""",
    "German": """Der Lehrer|Der Arzt|Mein Nachbar|Der Bauer|Mein Bruder|Der Fahrer|Der Koch|\
Der Student|Der Bäcker|Der alte Mann
        kauft|liest|trinkt|öffnet|wartet|schreibt|singt|sucht|wäscht|spricht
        Brot|einen Brief|Tee|das Fenster|auf den Bus|ein Buch|ein Lied|den Schlüssel|das Auto|\
mit dem Kind
        am Morgen|am Abend|heute|jeden Tag|zu Hause|in der Stadt|nach der Arbeit|\
vor dem Mittagessen|im Winter|am Sonntag""",
    "Finnish": """Opettaja|Lääkäri|Naapurini|Maanviljelijä|Veljeni|Kuljettaja|Kokki|Opiskelija|\
Leipuri|Vanha mies
        ostaa|lukee|juo|avaa|odottaa|kirjoittaa|laulaa|etsii|pesee|puhuu
        leipää|kirjettä|teetä|ikkunan|bussia|kirjaa|laulua|avainta|autoa|lapsen kanssa
        aamulla|illalla|tänään|joka päivä|kotona|kaupungissa|työn jälkeen|ennen lounasta|talvella|\
sunnuntaina""",
    "Swahili": """Mwalimu|Daktari|Jirani yangu|Mkulima|Kaka yangu|Dereva|Mpishi|Mwanafunzi|\
Mwoka mikate|Mzee
        ananunua|anasoma|anakunywa|anafungua|anasubiri|anaandika|anaimba|anatafuta|anaosha|\
anazungumza
        mkate|barua|chai|dirisha|basi|kitabu|wimbo|ufunguo|gari|na mtoto
        asubuhi|jioni|leo|kila siku|nyumbani|mjini|baada ya kazi|kabla ya chakula cha mchana|\
wakati wa baridi|siku ya Jumapili""",
    "Greek": """Ο δάσκαλος|Ο γιατρός|Ο γείτονάς μου|Ο αγρότης|Ο αδελφός μου|Ο οδηγός|Ο μάγειρας|\
Ο φοιτητής|Ο φούρναρης|Ο γέρος
        αγοράζει|διαβάζει|πίνει|ανοίγει|περιμένει|γράφει|τραγουδά|ψάχνει|πλένει|μιλά
        ψωμί|ένα γράμμα|τσάι|το παράθυρο|το λεωφορείο|ένα βιβλίο|ένα τραγούδι|το κλειδί|\
το αυτοκίνητο|με το παιδί
        το πρωί|το βράδυ|σήμερα|κάθε μέρα|στο σπίτι|στην πόλη|μετά τη δουλειά|πριν το μεσημεριανό|\
τον χειμώνα|την Κυριακή""",
    "Russian": """Учитель|Врач|Мой сосед|Фермер|Мой брат|Водитель|Повар|Студент|Пекарь|Старик
        покупает|читает|пьёт|открывает|ждёт|пишет|поёт|ищет|моет|говорит
        хлеб|письмо|чай|окно|автобус|книгу|песню|ключ|машину|с ребёнком
        утром|вечером|сегодня|каждый день|дома|в городе|после работы|перед обедом|зимой|\
в воскресенье""",
    "Arabic": """المعلم|الطبيب|جاري|الفلاح|أخي|السائق|الطباخ|الطالب|الخباز|الرجل العجوز
        يشتري|يقرأ|يشرب|يفتح|ينتظر|يكتب|يغني|يبحث|يغسل|يتحدث
        الخبز|رسالة|الشاي|النافذة|الحافلة|كتابا|أغنية|عن المفتاح|السيارة|مع الطفل
        في الصباح|في المساء|اليوم|كل يوم|في البيت|في المدينة|بعد العمل|قبل الغداء|في الشتاء|\
يوم الأحد""",
    "Hindi": """शिक्षक|डॉक्टर|मेरा पड़ोसी|किसान|मेरा भाई|चालक|रसोइया|छात्र|नानबाई|बूढ़ा आदमी
        खरीदता है|पढ़ता है|पीता है|खोलता है|इंतज़ार करता है|लिखता है|गाता है|ढूँढता है|धोता है|\
बात करता है
        रोटी|पत्र|चाय|खिड़की|बस का|किताब|गाना|चाबी|गाड़ी|बच्चे से
        सुबह|शाम को|आज|हर दिन|घर पर|शहर में|काम के बाद|दोपहर के खाने से पहले|सर्दियों में|\
रविवार को""",
    "Chinese": """老师|医生|我的邻居|农民|我哥哥|司机|厨师|学生|面包师|老人
        买|读|喝|打开|等|写|唱|找|洗|说话
        面包|信|茶|窗户|公共汽车|书|歌|钥匙|车|和孩子
        早上|晚上|今天|每天|在家|在城里|下班后|午饭前|冬天|星期天""",
}
#: The ten languages of `parallel_sentences`.
LANGUAGES = tuple(_PARTS)
_ORDER = {"German": "{s} {v} {t} {o}.", "Hindi": "{s} {t} {o} {v}।", "Chinese": "{s}{t}{v}{o}。"}
_TEST = 5  # every fifth of the 1,000 sentences is kept from training


def parallel_sentences(n: int, seed: int, test: bool = False) -> dict[str, list[str]]:
    """`n` different sentences drawn from `seed`, by language; those for testing and those for
    training never overlap.

    Sentence k says the same thing in every language. Raises ValueError if n is not in 1..800
    (1..200 for testing).

    >>> sentences = parallel_sentences(1, seed=1, test=True)
    >>> sentences["English"], sentences["Portuguese"]
    (['My brother buys bread after work.'], ['O meu irmão compra pão depois do trabalho.'])
    """
    places = [
        p
        for k, p in enumerate(itertools.product(range(10), repeat=3))
        if ((p[0] + p[1] + p[2]) % _TEST == 0) == test
    ]
    if not 1 <= n <= len(places):
        raise ValueError(f"n: expected 1 to {len(places)} sentences, got {n}")
    chosen = np.random.default_rng(seed).permutation(len(places))[:n]
    return {language: [_sentence(language, *places[k]) for k in chosen] for language in LANGUAGES}


def mixture(share: float, size: float = 1e4) -> Counter[str]:
    """Words of `size` bytes of training text: `share` of them in the nine other languages, alike,
    and the rest in English.

    The English is richer: besides the sentences for training it has 600 generated reviews.
    Raises ValueError if share is not in [0, 1].

    >>> mixture(0.0).most_common(1)[0][0]
    ' the'
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share: expected a number in [0, 1], got {share}")
    texts, more = parallel_sentences(300, seed=0), reviews(600, seed=0)
    texts["English"] = texts["English"] + [" ".join(more.text(k)) for k in range(600)]
    total: Counter[str] = Counter()
    for language in LANGUAGES:
        part = 1 - share if language == "English" else share / (len(LANGUAGES) - 1)
        if part:
            weight = size * part / sum(len(text.encode()) for text in texts[language])
            total.update(count_words(texts[language], weight))
    return total


def _sentence(language: str, who: int, does: int, when: int) -> str:
    s, v, o, t = (line.strip().split("|") for line in _PARTS[language].splitlines())
    text = _ORDER.get(language, "{s} {v} {o} {t}.")
    if (language, does) == ("Chinese", 9):  # with the child - speaks
        text = "{s}{t}{o}{v}。"
    return text.format(s=s[who], v=v[does], o=o[does], t=t[when])
