"""The short text that the tiny tokenizers are trained on."""

ENGLISH = """\
The film was a great surprise, and I would see it again tomorrow.
I didn't like the ending; it wasn't as good as the book.
She said that nothing in the story was true, but everyone believed her.
What a terrible waste of time! The actors looked bored from start to finish.
He went home early because he was sick, and the manager was not happy.
We have never had better food, and the people there were kind to us.
They weren't sure whether the train would leave at 7:45 or at 8:15.
My brother bought 3 tickets for $24.50, which is more than he can afford.
A small dog ran across the street and hid behind the old house.
This is the best music that I have heard in years, and I love it.
Don't you think that the first half of the show was slow and dull?
The new phone is fast, light and cheap, though its battery is bad.
When the rain stopped, the children went out to play in the garden.
Paris is in France, Tokyo is in Japan, and London is by the river Thames.
I felt sad, angry and afraid, then calm, happy and full of joy.
The doctor told him to rest, but he kept on working every night.
There is no reason to hate something that you do not understand.
It's hard to say who won: both teams played well until the very end.
"Please wait here," the teacher asked, "and I will be back in a minute."
Some words are longer than others: unbelievable, misunderstanding, interesting.
The capital city has a museum, two markets and a famous wooden bridge.
You'll find that the answer is simple: read the question once more.
Nobody knew why the lights went off, or why they came on again.
Their service was awful, the room was cold and the water was dirty.
In the morning the sun was bright, and the sea was blue and quiet.
"""

MULTILINGUAL = """\
Le café était fermé, mais la crème brûlée à côté était délicieuse.
Über den Straßen von München liegt früh am Morgen noch Nebel.
El niño soñó con una montaña y un río muy largo.
这部电影很好看。我很喜欢。
今天天气不好。我们不去公园。
この映画はとても面白いです。
私は東京に住んでいます。
I love this 😀 so much 🎉🎉, thank you 👍!
"""

ENGLISH_LINES = tuple(ENGLISH.splitlines())
ALL_LINES = ENGLISH_LINES + tuple(MULTILINGUAL.splitlines())
